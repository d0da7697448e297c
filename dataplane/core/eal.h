/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_EAL_H
#define CORE_EAL_H
/* DPDK's environment, started from node.yaml: lcore 0 is the control thread, 1.. are the workers. Memory comes from hugepages
 * when enough are free, otherwise from ordinary pages; which one is said in one log line. */
#include <stdbool.h>

struct node_config;

/* 0 or -errno, logged. Once a process. */
int eal_start(const struct node_config *config);
/* The process has all the memory that it takes in hugepages: whoever starts at the same time may count what is left. */
void eal_memory_taken(void);
void eal_stop(void);
/* Runs on hugepages. */
bool eal_has_hugepages(void);

#endif
