/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_NETNS_H
#define PORT_NETNS_H
/* Work in another network namespace, without moving any of this process's own threads there. */

/* Runs fn(arg) in a thread that entered `netns`: a name under /run/netns or a path; NULL: here. Blocks until it is done. fn's
 * result, or -errno when the namespace can not be entered. */
int netns_run(const char *netns, int (*fn)(void *arg), void *arg);

#endif
