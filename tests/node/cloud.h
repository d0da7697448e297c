/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_CLOUD_H
#define TESTS_NODE_CLOUD_H
/* The small cloud that most tests of the graph begin with:
 *
 *	VPC prod (100)   web 10.0.1.0/24   a .10, b .11 here; r .20 behind the VTEP `other`
 *	                 db  10.0.2.0/24   c .10 here
 *
 * each with an IPv6 address of the same end in fd00:1:0:SUBNET::/64; group `any` lets everything in.
 */
#define GW "02:00:00:00:00:64"
#define MAC_A "02:aa:00:00:00:01"
#define MAC_B "02:aa:00:00:00:02"
#define MAC_C "02:aa:00:00:00:03"
#define MAC_R "02:bb:00:00:00:01"

/* "[", kind, columns ... of a port with the stub attachment. */
#define PORT_ITEM(name, vni, subnet, mac, addresses, groups, security, allowed)                    \
	"[\"port\", \"" name "\", " vni ", \"" subnet "\", \"" mac "\", [" addresses "], [" groups \
	"], " security ", [" allowed "], true, null, {\"type\": \"stub\"}, 1]"
#define PORT(name, subnet, mac, a4, a6)                                                            \
	PORT_ITEM(name, "100", subnet, mac, "\"" a4 "\", \"" a6 "\"", "\"any\"", "true", "")

#define RULE_ANY "\"i a 1000 -1 0 65535 -1 -1 any\""
#define ENDPOINT(vni, address, mac, vtep, subnet, name)                                            \
	"[\"endpoint\", " vni ", \"" address "\", \"" mac "\", \"" vtep "\", \"" subnet            \
	"\", \"" name "\", []]"

#define CLOUD_VPC                                                                                  \
	"[\"vpc\", 100, \"prod\", \"default\", 1450, \"" GW                                        \
	"\", [\"10.0.0.0/16\", \"fd00:1::/48\"], [], 1]"
#define CLOUD_ITEMS                                                                                \
	"[\"vtep\", \"other\", \"192.0.2.2\", false]," CLOUD_VPC ","                               \
	"[\"subnet\", \"web\", 100, \"10.0.1.0/24\", \"10.0.1.1\", \"fd00:1:0:1::/64\", "          \
	"\"fd00:1:0:1::1\", true, [], 1],"                                                         \
	"[\"subnet\", \"db\", 100, \"10.0.2.0/24\", \"10.0.2.1\", \"fd00:1:0:2::/64\", "           \
	"\"fd00:1:0:2::1\", true, [], 1],"                                                         \
	"[\"group\", \"any\", 1], [\"rules\", \"any\", 0, [" RULE_ANY                              \
	"]]," PORT("a", "web", MAC_A, "10.0.1.10", "fd00:1:0:1::10") "," PORT(                     \
		"b", "web", MAC_B, "10.0.1.11", "fd00:1:0:1::11") "," PORT("c", "db", MAC_C,       \
		"10.0.2.10", "fd00:1:0:2::10") "," ENDPOINT("100", "10.0.1.20", MAC_R, "other",    \
		"web", "r") "," ENDPOINT("100", "fd00:1:0:1::20", MAC_R, "other", "web", "r")
#define CLOUD "[" CLOUD_ITEMS "]"

#endif
