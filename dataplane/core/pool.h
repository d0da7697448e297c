/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_POOL_H
#define CORE_POOL_H
/* Packet buffers: 2 kB ones for frames and segments, 64 kB ones for GSO frames. Shared by all workers, each
 * with a cache. */
struct node_config;

/* Makes both pools and hands them to the workers. 0 or -errno, logged. */
int pool_init(const struct node_config *config);
/* Buffers in use now, of both pools; for leak checks and `held`. */
unsigned int pool_in_use(void);

#endif
