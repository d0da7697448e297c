/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/service_node.h"

SERVICE_NODE(nd, CLASSIFY_ND, nd_serve)
