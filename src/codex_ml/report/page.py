"""stub"""
def write_report(directory, *, dataset): pass
