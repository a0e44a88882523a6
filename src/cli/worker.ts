/** The program of a worker process. The primary starts it; nobody starts it by hand. */

import { work } from '../daemon/work.ts'

// The terminal sends these signals to all processes of its group. The primary decides what they mean.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const)
  process.on(signal, () => {})

if (process.send === undefined) {
  process.stderr.write('pgweir: only pgweir itself starts this program\n')
  process.exit(1)
}
work(process as Parameters<typeof work>[0]).then(() => {
  // Lets the last messages arrive before the process exits.
  if (process.connected) process.send?.(null, () => process.exit(0))
  else process.exit(0)
})
