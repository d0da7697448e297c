// SPDX-License-Identifier: Apache-2.0
/* The shells' scripts. They know nothing about commands: `vpcctl __complete` does. */
#include <string.h>

#include "cli/complete.h"

/*
 * The line is split at blanks, as vpcctl sees it; bash has also split it at = and :, and replaces only
 * what follows the last of these.
 */
static const char bash[] =
	"# bash completion for vpcctl; source it, or install it as completions/vpcctl\n"
	"_vpcctl()\n"
	"{\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} words reply cur prefix=\n"
	"\tread -ra words <<<\"$line\"\n"
	"\t[[ $line == *[[:space:]] ]] && words+=(\"\")\n"
	"\tcur=${words[${#words[@]}-1]}\n"
	"\tmapfile -t reply < <(\"${words[0]}\" __complete \"${words[@]:1}\" 2>/dev/null)\n"
	"\tif [[ ${reply[0]} == :files ]]; then\n"
	"\t\tmapfile -t reply < <(compgen -f -- \"$cur\")\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\tfi\n"
	"\t[[ $cur == *[=:]* ]] && prefix=${cur%\"${cur##*[=:]}\"}\n"
	"\treply=(\"${reply[@]%%$'\\t'*}\")\n"
	"\tCOMPREPLY=(\"${reply[@]#\"$prefix\"}\")\n"
	"}\n"
	"complete -F _vpcctl vpcctl\n";

static const char zsh[] =
	"#compdef vpcctl\n"
	"# zsh completion for vpcctl; install it as _vpcctl in a folder of fpath, or source it\n"
	"_vpcctl()\n"
	"{\n"
	"\tlocal line\n"
	"\tlocal -a lines described\n"
	"\tlines=(\"${(@f)$(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\" "
	"2>/dev/null)}\")\n"
	"\tif [[ ${lines[1]} == :files ]]; then\n"
	"\t\t_files\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tfor line in \"${lines[@]}\"; do\n"
	"\t\t[[ -n $line ]] && described+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
	"\tdone\n"
	"\t_describe -t vpcctl vpcctl described\n"
	"}\n"
	"if [[ ${funcstack[1]} == _vpcctl ]]; then\n"
	"\t_vpcctl \"$@\"\n"
	"else\n"
	"\tcompdef _vpcctl vpcctl\n"
	"fi\n";

static const struct field_value shells[] = {
	{"bash", "source <(vpcctl completion bash)"},
	{"zsh", "source <(vpcctl completion zsh)"},
	{},
};

const struct field completion_args[] = {
	{.name = "shell",
		.type = FIELD_ENUM,
		.values = shells,
		.flags = FIELD_REQUIRED,
		.help = "for which shell"},
	{},
};

int completion_run(struct cli *cli, const struct command *command, json_t *params)
{
	const char *shell = resource_text(params, "shell");

	(void)cli;
	(void)command;
	if (!strcmp(shell, "bash"))
		fputs(bash, stdout);
	else if (!strcmp(shell, "zsh"))
		fputs(zsh, stdout);
	else
		return cli_fail(CLI_USAGE, "unknown shell \"%.64s\": it can be bash or zsh", shell);
	return CLI_OK;
}
