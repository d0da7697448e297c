/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_PACKET_TEXT_H
#define LIB_PACKET_TEXT_H
/* A frame in few words, for people. Any thread. */
#include <stddef.h>
#include <stdint.h>

#define PACKET_TEXT 256

/* "10.0.1.10.40000 > 10.0.2.10.443: tcp S". The bytes may be cut anywhere, and may be a stranger's. Returns text, of PACKET_TEXT
 * bytes, always ended. */
char *packet_text(const uint8_t *frame, size_t length, char *text);

#endif
