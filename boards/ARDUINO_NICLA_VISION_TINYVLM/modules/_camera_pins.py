# The board's own GC2145. Its supply comes up with the others of the PMIC.
SCL, SDA = "A8", "C9"
DCMI = ("C6", "C7", "E0", "E1", "E4", "D3", "E5", "E6", "A4", "G9", "A6")
XCLK = ("A7", 3, 2)
HIGH = LOW = ()
WRITE = ((0xFE, 0x00), (0x17, 0x17))  # it is mounted upside down: mirrored and flipped
