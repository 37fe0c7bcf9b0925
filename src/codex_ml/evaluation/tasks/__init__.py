"""Evaluation tasks, one file each; every task gives records with n and a 95 % interval."""
