# SPDX-License-Identifier: Apache-2.0
"""What a person runs: the command line, experiments, checks and reports."""
