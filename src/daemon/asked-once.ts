/** Asks a question only once when several clients wait for the same answer. */

import type { Host } from '../client/host.ts'
import type { InquiryListener } from './inquiries.ts'

/** A client that waits for an answer. */
interface Asking<Answer> {
  readonly session: Pick<Host, 'isOpen'>
  done(answer: Answer): void
}

/** Connects the question, which is asked once, with all clients that wait for it. */
interface Question<Answer> extends Pick<InquiryListener, 'isWanted' | 'onUnwanted'> {
  tell(answer: Answer): void
}

export class AskedOnce<Answer> {
  readonly #asked = new Map<string, Asking<Answer>[]>()

  /** @param begin asks the question; called only if no other client waits for the answer to `key` */
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
