// SPDX-License-Identifier: Apache-2.0
/* A filter: TCP to port 23 goes nowhere, everything else goes on.
 *
 *	clang -O2 -target bpf -mcpu=v2 -c no_telnet.bpf.c -o no_telnet.o
 *	vpcctl hook attach no-telnet --vpc prod --role filter no_telnet.o
 */
#include "vpc_hook.h"

#define TCP 6

VPC_HOOK_PROGRAM int no_telnet(const struct vpc_hook *packet)
{
	return packet->protocol != TCP || packet->destination_port != 23;
}
