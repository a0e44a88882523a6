/** The program of a worker process; started by its primary, never by hand. */

import { work } from '../daemon/work.ts'

// The terminal sends these to all processes of its group; what they mean is for the primary to decide.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const)
  process.on(signal, () => {})

if (process.send === undefined) {
  process.stderr.write('pgweir: this program is started by pgweir itself\n')
  process.exit(1)
}
work(process as Parameters<typeof work>[0]).then(() => {
  // Its last words are to arrive.
  if (process.connected) process.send?.(null, () => process.exit(0))
  else process.exit(0)
})
