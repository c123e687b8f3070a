// SPDX-License-Identifier: MIT
// MicroPython's board puts the Ethernet PHY to sleep with functions of its network driver, which this
// firmware has not. Here they do nothing: the PHY stays awake, as it is after a reset.

#include "py/mphal.h"
#include "eth.h"

struct _eth_t {
    int nothing;
};

eth_t eth_instance;

int eth_init(eth_t *self, int mac_idx, uint32_t phy_addr, int phy_type) {
    (void)self, (void)mac_idx, (void)phy_addr, (void)phy_type;
    return 0;
}

void eth_low_power_mode(eth_t *self, bool enable) {
    (void)self, (void)enable;
}
