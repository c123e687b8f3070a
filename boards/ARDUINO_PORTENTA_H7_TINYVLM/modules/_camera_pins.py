# The vision shield's HM01B0 or HM0360.
SCL, SDA = "H7", "H8"
DCMI = ("H9", "H10", "H11", "H12", "H14", "I4", "I6", "I7", "A4", "I5", "A6")
XCLK = ("K1", 1, 1)
HIGH = ("C13",)  # the sensor's supply
LOW = ()
WRITE = ()
