/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/service_node.h"

SERVICE_NODE(arp, CLASSIFY_ARP, arp_serve)
