/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/service_node.h"

SERVICE_NODE(dhcp, CLASSIFY_DHCP, dhcp_serve)
