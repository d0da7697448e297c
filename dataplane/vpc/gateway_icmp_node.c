/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/service_node.h"

SERVICE_NODE(gateway_icmp, CLASSIFY_GATEWAY, gateway_serve)
