"""Whole evaluations that anybody can run again, with published figures beside ours."""
