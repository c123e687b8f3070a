// SPDX-License-Identifier: MIT
//
// What browsers have as `crypto`, and node has since 19.

import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto as Crypto;
