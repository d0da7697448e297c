/* SPDX-License-Identifier: Apache-2.0 */
#include "session/busiest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "session/index.h"
#include "session/session.h"

/* Without a question for so long it ends. */
#define BORED_MS 30000u

/* What a session's counters were when the hand last passed; at_ms 0: it has not. */
struct mark {
	uint64_t bytes;
	uint32_t packets; /* the low half */
	uint32_t at_ms;
};

bool busiest_on;
static struct mark *marks;
static size_t marks_bytes;
static uint32_t began_ms, asked_ms;
/* A heap, the least busy on top; and that of the turn before, sorted. */
static struct busy_session heap[BUSIEST_MAX], last[BUSIEST_MAX];
static unsigned int heap_count, last_count;

void busiest_ask(uint32_t now_ms)
{
	asked_ms = now_ms;
	if (busiest_on)
		return;
	marks_bytes = (size_t)index_records() * sizeof(*marks);
	marks = mmap(NULL, marks_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	busiest_on = marks != MAP_FAILED;
	began_ms = now_ms;
	heap_count = last_count = 0;
}

static void end(void)
{
	munmap(marks, marks_bytes);
	marks = NULL;
	busiest_on = false;
	last_count = 0;
}

static int less_busy(const void *pa, const void *pb)
{
	const struct busy_session *a = pa, *b = pb;

	return a->bytes_per_s < b->bytes_per_s ? 1 : a->bytes_per_s > b->bytes_per_s ? -1 : 0;
}

unsigned int busiest_list(struct busy_session *list)
{
	memcpy(list, last, last_count * sizeof(*list));
	return last_count;
}

/* ---- The heap ---- */

static void sift_down(unsigned int at, struct busy_session s)
{
	for (;;) {
		unsigned int child = 2 * at + 1;

		if (child + 1 < heap_count && heap[child + 1].bytes_per_s < heap[child].bytes_per_s)
			child++;
		if (child >= heap_count || heap[child].bytes_per_s >= s.bytes_per_s)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = s;
}

static void sift_up(unsigned int at, struct busy_session s)
{
	while (at > 0 && heap[(at - 1) / 2].bytes_per_s > s.bytes_per_s) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = s;
}

static void keep(struct busy_session s)
{
	if (heap_count < BUSIEST_MAX)
		sift_up(heap_count++, s);
	else if (s.bytes_per_s > heap[0].bytes_per_s)
		sift_down(0, s);
}

/* ---- The hand ---- */

void busiest_visit(uint32_t index, uint32_t now_ms)
{
	uint32_t created_ms = session_colds[index].created_ms, packets = 0, since_ms, packets_then;
	struct mark *mark = &marks[index];
	uint64_t bytes = 0, bytes_then;
	bool seen = mark->at_ms != 0; /* this session, or another one of its index */
	bool known = seen && (int32_t)(created_ms - mark->at_ms) <= 0;

	for (unsigned int d = 0; d < 2; d++) {
		const struct session_hot *hot = &session_hots[d][index];

		bytes += atomic_load_explicit(&hot->bytes, memory_order_relaxed);
		packets += (uint32_t)atomic_load_explicit(&hot->packets, memory_order_relaxed);
	}
	since_ms = now_ms - (known ? mark->at_ms : created_ms);
	bytes_then = known ? mark->bytes : 0;
	packets_then = known ? mark->packets : 0;
	/* One that was there before anybody asked has no rate yet. */
	if ((seen || (int32_t)(created_ms - began_ms) >= 0) && (int32_t)since_ms > 0 &&
		bytes > bytes_then)
		keep((struct busy_session){.index = index,
			.created_ms = created_ms,
			.packets_per_s = (uint32_t)(packets - packets_then) * 1000.0 / since_ms,
			.bytes_per_s = (double)(bytes - bytes_then) * 1000.0 / since_ms});
	*mark = (struct mark){bytes, packets, now_ms != 0 ? now_ms : 1};
}

void busiest_turned(uint32_t now_ms)
{
	memcpy(last, heap, heap_count * sizeof(*last));
	last_count = heap_count;
	heap_count = 0;
	qsort(last, last_count, sizeof(*last), less_busy);
	if (now_ms - asked_ms > BORED_MS)
		end();
}
