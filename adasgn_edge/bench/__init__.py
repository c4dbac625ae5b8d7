"""The benchmark behind ``adasgn-edge bench``: the engine beside other runtimes, on the machine at hand.

===================================  ================================================================================
``settings``                         what is asked for; the JSON file's form (``report``)
``contenders``, ``random_models``    what is timed, each shown to be right first; models whose weights do not matter
``clips``, ``streams``               inputs: recorded, or made by code; steps of the recogniser
``runtimes``, ``peers``              PyTorch, ONNX Runtime, OpenVINO; ``conv2d_sgn``: dense SGN as it is usually written
``reference``, ``torch_reference``   the truth in float64
``parity``, ``half``                 an engine against it, clip by clip
``interleave``, ``timing``           turns; percentiles, histograms, ratios
``ceilings``, ``machine``, ``board`` what the core can do; what the machine is; power, clocks and heat of a board
``fresh``, ``control_loop``          cold start and memory in processes of their own; a loop with deadlines
``measurement``                      all of it in order, to one report
``page``, ``charts``                 the report as one HTML file
``comparison``                       two reports
===================================  ================================================================================

Nothing here is imported by the rest of the package but the command. Our own sides need NumPy alone.
"""
