# The board's camera connector (24 pins; OV2640, OV7725, OV5640 modules).
SCL, SDA = "B8", "B9"
DCMI = ("C6", "C7", "E0", "E1", "E4", "D3", "E5", "E6", "A4", "B7", "A6")
XCLK = ("A8", 1, 1)
HIGH = ()
LOW = ("A7",)  # power-down
WRITE = ()
