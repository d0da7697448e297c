/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNDERLAY_KERNEL_QUIET_H
#define UNDERLAY_KERNEL_QUIET_H
/* The kernel's own stack on the interface that we share with it. Until the process ends:
 *
 *   - it does not answer VXLAN packets with "port unreachable" where it has the VTEP's address too;
 *   - its GRO puts runs of VXLAN packets together where they have a UDP checksum, before our port reads them;
 *   - it tells switches that listen to MLD to bring us solicitations for our IPv6 address (RFC 4861 7.2.1).
 */
#include "base/ip.h"

/* Again when the interface is another one. `own6`: all zero for none. What does not work is logged. */
void kernel_quiet(const char *ifname, const struct ip_addr *own6);

#endif
