/** What several clients wait for at a time, and is asked for but once. */

import type { Host } from '../client/host.ts'
import type { InquiryListener } from './inquiries.ts'

/** Who waits for an answer. */
interface Asking<Answer> {
  readonly session: Pick<Host, 'isOpen'>
  done(answer: Answer): void
}

/** What the question that was asked for all of them is told. */
interface Question<Answer> extends Pick<InquiryListener, 'isWanted' | 'onUnwanted'> {
  tell(answer: Answer): void
}

export class AskedOnce<Answer> {
  readonly #asked = new Map<string, Asking<Answer>[]>()

  /** @param begin asks; called for the first alone of those who want to know the same */
  ask(key: string, asking: Asking<Answer>, begin: (question: Question<Answer>) => void): void {
    const asked = this.#asked.get(key)
    if (asked) {
      asked.push(asking)
      return
    }
    const waiting = [asking]
    this.#asked.set(key, waiting)
    const over = () => void this.#asked.delete(key)
    begin({
      isWanted: () => waiting.some(({ session }) => session.isOpen),
      onUnwanted: over,
      tell(answer) {
        over()
        for (const { done } of waiting) done(answer)
      },
    })
  }
}
