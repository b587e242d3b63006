"""The figures of a run, one module each: a module of this folder is a figure that can be asked for by its name.

**What a module holds:** `figure(drawing)`: the Matplotlib figure of a `flowsim.plot.Drawing`; and where it has them
`caption(drawing)`: what it shows, in sentences, and `animation(drawing)`: the bytes of a GIF.
"""
