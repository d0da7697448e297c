/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/service_node.h"

SERVICE_NODE(dhcp6, CLASSIFY_DHCP6, dhcp6_serve)
