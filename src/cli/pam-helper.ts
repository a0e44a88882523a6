/** The program of a helper process that asks PAM and blocks until PAM has answered. pgweir starts it; see `PamHelpers`. */

import { endWithParent, loadPam, type Pam, type PamAnswer, type PamQuestion } from '../net/pam-library.ts'

// The terminal sends these to all processes of its group. The helper ends when pgweir closes the channel.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const)
  process.on(signal, () => {})

let pam: Pam | null = null

process.on('message', (question: PamQuestion) => process.send?.(answerTo(question)))

function answerTo(question: PamQuestion): PamAnswer {
  try {
    if (pam === null) {
      endWithParent()
      pam = loadPam()
    }
    return pam.check(question)
  } catch (problem) {
    return { isRight: false, reason: (problem as Error).message, delayMs: 0 }
  }
}
