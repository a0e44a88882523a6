/** How `--help` looks: the commands come first, and everything fits a terminal of the usual width. */

import { type Command, Help } from 'commander'

/** The width of the first column. A setting with a longer name has its meaning on the lines below it. */
const TERM_WIDTH = 30
const LEAST_WIDTH = 20

export function arrangeHelp(program: Command): Command {
  return program.configureHelp({
    minWidthToWrap: LEAST_WIDTH,
    padWidth: (command, helper) => Math.min(Help.prototype.padWidth.call(helper, command, helper), TERM_WIDTH),
    formatItem(term, termWidth, description, helper) {
      const format = (name: string) => Help.prototype.formatItem.call(helper, name, termWidth, description, helper)
      if (helper.displayWidth(term) <= termWidth || description === '') return format(term)
      return `  ${term}\n${format('')}`
    },
    formatHelp(command, helper) {
      const text = Help.prototype.formatHelp.call(helper, command, helper)
      const [commands] = /^Commands:\n(?: .*\n)+\n?/m.exec(text) ?? []
      return commands === undefined
        ? text
        : text.replace(commands, '').replace(/^Options:/m, () => `${commands.trimEnd()}\n\nOptions:`)
    },
  })
}

/** The end of the help text, which is the part that stays visible on a terminal. */
export const EXAMPLES = `Each setting is a flag, a key of the file and an environment variable:
--pool-mode, pool_mode, PGWEIR_POOL_MODE. Times and sizes may have a unit:
300ms, 5min, 4MB.

Examples:
  pgweir demo                  try it out with a temporary PostgreSQL
  pgweir check pgbouncer.ini   report problems, and differences from PgBouncer
  pgweir pgbouncer.ini         run with this file
  pgweir --upstream postgres://app:secret@db.internal/    run without a file
  pgweir console 'show pools'  run a command on the console
  pgweir top                   watch the pools
`

export const SETTINGS_ARE_FLAGS = 'Every setting is also a flag: pgweir --help lists them.\n'
