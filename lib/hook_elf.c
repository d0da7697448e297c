/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF objects that clang makes for the target bpf (System V ABI, chapter 4). Nothing in them is believed. */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hook_program.h"

struct object {
	const uint8_t *data;
	size_t size;
	Elf64_Ehdr head;
	Elf64_Shdr names; /* of sections */
	char *reason;
};

static bool refuse(const struct object *o, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool refuse(const struct object *o, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(o->reason, HOOK_REASON_MAX, format, ap);
	va_end(ap);
	return false;
}

static bool is_inside(const struct object *o, uint64_t offset, uint64_t size)
{
	return offset <= o->size && size <= o->size - offset;
}

static bool section_at(const struct object *o, unsigned int index, Elf64_Shdr *section)
{
	uint64_t offset = o->head.e_shoff + (uint64_t)index * sizeof(*section);

	if (o->head.e_shoff > o->size || !is_inside(o, offset, sizeof(*section)))
		return refuse(o, "is cut short: section %u is not there", index);
	memcpy(section, o->data + offset, sizeof(*section));
	return true;
}

static bool read_head(struct object *o)
{
	if (o->size < sizeof(o->head) || memcmp(o->data, ELFMAG, SELFMAG) != 0)
		return refuse(o, "is no ELF object");
	memcpy(&o->head, o->data, sizeof(o->head));
	if (o->head.e_ident[EI_CLASS] != ELFCLASS64 || o->head.e_ident[EI_DATA] != ELFDATA2LSB)
		return refuse(
			o, "is no 64-bit little-endian object: compile with -target bpf or bpfel");
	if (o->head.e_machine != EM_BPF)
		return refuse(o, "is for machine %u, not for BPF (%u): compile with -target bpf",
			o->head.e_machine, EM_BPF);
	if (o->head.e_type != ET_REL)
		return refuse(o, "is no object file, but something that was linked");
	if (o->head.e_shentsize != sizeof(Elf64_Shdr) || o->head.e_shnum == 0)
		return refuse(o, "has no sections");
	if (o->head.e_shstrndx >= o->head.e_shnum)
		return refuse(o, "has no names of sections");
	return section_at(o, o->head.e_shstrndx, &o->names) &&
	       (is_inside(o, o->names.sh_offset, o->names.sh_size) ||
		       refuse(o, "is cut short: the names of sections are not there"));
}

/* Is it the section's name? */
static bool is_named(const struct object *o, const Elf64_Shdr *section, const char *name)
{
	size_t length = strlen(name) + 1;

	return section->sh_name < o->names.sh_size &&
	       length <= o->names.sh_size - section->sh_name &&
	       memcmp(o->data + o->names.sh_offset + section->sh_name, name, length) == 0;
}

static bool is_program(const Elf64_Shdr *section)
{
	return section->sh_type == SHT_PROGBITS && (section->sh_flags & SHF_EXECINSTR) != 0 &&
	       section->sh_size != 0;
}

/* The index of the section; 0, which never is one: none, or several, with a reason. */
static unsigned int find_section(const struct object *o, const char *name, Elf64_Shdr *found)
{
	unsigned int index = 0;

	for (unsigned int i = 1; i < o->head.e_shnum; i++) {
		Elf64_Shdr section;

		if (!section_at(o, i, &section))
			return 0;
		if (!is_program(&section) || (name != NULL && !is_named(o, &section, name)))
			continue;
		if (index != 0) {
			refuse(o, "has programs in several sections: say which by `section`");
			return 0;
		}
		index = i;
		*found = section;
	}
	if (index == 0 && name != NULL)
		refuse(o, "has no program in section `%.60s`", name);
	else if (index == 0)
		refuse(o, "has no program");
	return index;
}

/* What is left to link has no place here. */
static bool is_complete(const struct object *o, unsigned int index)
{
	for (unsigned int i = 1; i < o->head.e_shnum; i++) {
		Elf64_Shdr section;

		if (!section_at(o, i, &section))
			return false;
		if ((section.sh_type == SHT_REL || section.sh_type == SHT_RELA) &&
			section.sh_info == index && section.sh_size != 0)
			return refuse(o,
				"refers to something outside the program: maps, global "
				"variables, constant tables and other functions are not there");
	}
	return true;
}

static int copy_program(const struct object *o, const Elf64_Shdr *section, struct hook_program *p)
{
	uint64_t count = section->sh_size / sizeof(struct hook_insn);

	if (!is_inside(o, section->sh_offset, section->sh_size)) {
		refuse(o, "is cut short: the program is not there");
		return -EINVAL;
	}
	if (section->sh_size % sizeof(struct hook_insn) != 0) {
		refuse(o, "has a program that is cut short");
		return -EINVAL;
	}
	if (count > HOOK_INSNS_MAX) {
		refuse(o, "has a program of %llu instructions: %u is the most",
			(unsigned long long)count, HOOK_INSNS_MAX);
		return -EINVAL;
	}
	p->insns = malloc(section->sh_size);
	if (p->insns == NULL)
		return -ENOMEM;
	memcpy(p->insns, o->data + section->sh_offset, section->sh_size);
	p->count = (uint32_t)count;
	return 0;
}

int hook_read(const void *object, size_t size, const char *section, struct hook_program *program,
	char reason[HOOK_REASON_MAX])
{
	struct object o = {.data = object, .size = size, .reason = reason};
	Elf64_Shdr found = {.sh_size = 0};
	unsigned int index;

	*program = (struct hook_program){.insns = NULL};
	reason[0] = '\0';
	if (size > HOOK_OBJECT_MAX) {
		refuse(&o, "has %zu bytes: %u is the most", size, HOOK_OBJECT_MAX);
		return -EINVAL;
	}
	if (section != NULL && section[0] == '\0')
		section = NULL;
	if (!read_head(&o))
		return -EINVAL;
	index = find_section(&o, section, &found);
	if (index == 0 || !is_complete(&o, index))
		return -EINVAL;
	return copy_program(&o, &found, program);
}
