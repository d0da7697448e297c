/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CACHE_LINE_H
#define BASE_CACHE_LINE_H
/* Where variables of the whole program stand, so that a store of one thread costs no other thread a line that it reads.
 *
 *   READ_MOSTLY  set at the start, or by a person's doing, and read by workers for a packet, a burst or a flow: all of them side by
 *                side, in lines that nobody writes while packets flow
 *   OWN_LINE     written while packets flow, by one thread or several: nothing else in its line. Of a type that fills lines
 *
 * docs/performance.md says who writes which line; tests/unit/test_cache_lines.py looks at the program that was linked.
 */
#define CACHE_LINE 64

#define READ_MOSTLY __attribute__((section("read_mostly")))
#define OWN_LINE __attribute__((aligned(CACHE_LINE)))

#endif
