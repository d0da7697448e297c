/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SIMD_H
#define BASE_SIMD_H
/* The build runs on any x86-64-v2 or ARMv8 machine; a function marked SIMD_CLONES is compiled again for wider registers, and the
 * dynamic linker picks the widest that the machine has when the program starts. For loops over many bytes and for the burst
 * loops of the packet path. What is inlined into it is compiled with it. ARMv8 always has NEON.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__AVX2__)
#define SIMD_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define SIMD_CLONES
#endif

#endif
