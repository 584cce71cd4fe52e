# SPDX-License-Identifier: Apache-2.0
"""The array as compiled code: its state, DMAs, locks, switches and streams, and what drives events.

Everything here is compiled together (`firmware_sim.compiled`) or makes the state that it works on;
what runs a design from the outside, and looks at what came of it, is a folder up.
"""
