// SPDX-License-Identifier: MIT
//
// The only function of libm that the engine calls is an instruction here, rounded as IEEE 754 says.

#ifndef MATH_H
#define MATH_H

#define sqrtf __builtin_sqrtf

#endif // MATH_H
