/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_H
#define NAT_NAT_H
/* NAT gateways: a VPC's way to outside networks by addresses that its machines share (SNAT), and the way in to chosen ports (DNAT).
 *
 *	nat_ports, nat_blocks    the ports of an outside address
 *	nat_table                records: mappings and who refers to whom
 *	nat_address, nat_gateway outside addresses and gateways with their rules, under RCU
 *	nat_state, nat_rules     southbound items → rules
 *	nat_leave                out of a VPC: by which gateway (VPC_EXIT)
 *	nat_translate            by which outside address and port: kept, or a binding of
 *	nat_host, nat_mapping, nat_dependent, nat_wrap
 *	nat_arrive               to an elastic IP: forwards, mappings and their filters (EIP_USE)
 *	nat_hold                 what sessions hold, and their timeouts (HOLD_OWNER)
 *	nat_usage                what it has carried
 *	nat_log, nat_rpc         who had what; how full it is
 *
 * Behaviour: RFC 4787 (UDP), 5382 (TCP), 5508 (ICMP), 6888 and 7857 (many subscribers), 6056 (random ports). Rewriting of packets is
 * forward/translate.h's, between the families nat64/'s.
 */
#include <stdint.h>

/* Ports that have rested, records and gateways that nobody refers to, events, the log. Control thread, about every 10 ms. */
void nat_turn(uint32_t now_ms);

#endif
