# SPDX-License-Identifier: Apache-2.0
"""What other projects' software makes of the same models and texts, measured in the same run.

* `ema`: the threshold rule of OpenVINO NNCF restated in numpy: it needs neither NNCF nor torch.
* `llama_torch`: a GGUF model of the Llama family as a module of torch and transformers.
* `nncf_run`: NNCF itself on such a module.
* `compare`: NNCF, its rule restated, and this project's thresholds side by side.
"""
