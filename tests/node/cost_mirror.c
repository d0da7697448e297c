/* SPDX-License-Identifier: Apache-2.0 */
/* What a packet of an established flow costs (test_mirror_cost.py):
 *
 *	cost_mirror none|elsewhere|hooks|here|dead|slow
 *
 * with no mirror, with one of another port and of another subnet, with a hook there, or with one of the flow's own: to a collector, to one whose next hop
 * does not answer, to a port that takes nothing any more. */
#include "cost.h"

#define MIRROR(source, target, vtep)                                                               \
	"[[\"mirror\", \"tap\", [" source "], \"both\", \"\", 1, 0, {" target "}, " vtep ", 1]]"
#define ERSPAN "\"type\": \"erspan\", \"address\": \"192.0.2.2\", \"session_id\": 7, \"version\": 2"

/* r0 = 0; exit: it would drop everything. */
#define DROP_ALL                                                                                   \
	"f0VMRgIBAQAAAAAAAAAAAAEA9wABAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAEAAAAAA"             \
	"AEAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"             \
	"AAAAAAAAAAAAAAAAAAAAAAAAAQAAAAYAAAAAAAAAAAAAAAAAAADAAAAAAAAAABAAAAAAAAAAAAAA"             \
	"AAAAAAAIAAAAAAAAAAAAAAAAAAAAtwAAAAAAAACVAAAAAAAAAA=="
#define HOOK_ELSEWHERE                                                                             \
	"[[\"hook\", \"h\", [\"port c\", \"subnet db\"], \"both\", \"filter\", \"" DROP_ALL        \
	"\", \"\", 4000, null, 1]]"

int main(int argc, char **argv)
{
	static const struct cost_mode modes[] = {
		{"elsewhere", MIRROR("\"port c\", \"subnet db\"", ERSPAN, "\"other\"")},
		{"hooks", HOOK_ELSEWHERE},
		{"here", MIRROR("\"port a\"", ERSPAN, "\"other\"")},
		{"dead", "[[\"vtep\", \"silent\", \"192.0.2.77\", false]]"},
		{"dead", MIRROR("\"port a\"", ERSPAN, "\"silent\"")},
		{"slow", MIRROR("\"port a\"", "\"type\": \"port\", \"port\": \"c\"", "null")},
	};

	return cost_main(argc, argv, modes, sizeof(modes) / sizeof(modes[0]));
}
