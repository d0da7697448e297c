/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_BALANCER_H
#define TESTS_NODE_BALANCER_H
/* Items of load balancers in the small cloud (cloud.h). */
#define VIP "10.0.1.100"
#define VIP6 "fd00:1:0:1::100"
#define NO_CHECK "{\"type\": \"none\"}"
#define CHECK "{\"type\": \"tcp\"}"

/* A balancer of the VPC with a private address. */
#define BALANCER(name, address)                                                                    \
	"[\"load_balancer\", \"" name "\", 100, \"" address "\", null, null, 1]"
#define LISTENER(name, protocol, port, scheduler, persistence, allow, idle, drain, open, check)    \
	"[\"listener\", \"" name "\", " protocol ", " port ", \"" scheduler "\", " persistence     \
	", [" allow "], " idle ", " drain ", " open ", " check "]"
#define BACKEND(name, protocol, port, address, number, weight)                                     \
	"[\"backend\", \"" name "\", " protocol ", " port ", \"" address "\", " number ", " weight \
	", \"\"]"
#define BACKEND_KEY(name, protocol, port, address, number)                                         \
	"[\"backend\", \"" name "\", " protocol ", " port ", \"" address "\", " number "]"

/* UDP port 80 of `lb`, whose address is VIP, to b and c, port 8080. */
#define LB_UDP(scheduler, drain)                                                                   \
	LISTENER("lb", "17", "80", scheduler, "0", "", "0", drain, "false", NO_CHECK)
#define ON_B(weight) BACKEND("lb", "17", "80", "10.0.1.11", "8080", weight)
#define ON_C(weight) BACKEND("lb", "17", "80", "10.0.2.10", "8080", weight)
#define ON_R(weight) BACKEND("lb", "17", "80", "10.0.1.20", "8080", weight)
#define KEY_B BACKEND_KEY("lb", "17", "80", "10.0.1.11", "8080")
#define KEY_C BACKEND_KEY("lb", "17", "80", "10.0.2.10", "8080")

#endif
