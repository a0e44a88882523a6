/** Asks a question only once when several clients wait for the same answer. */

import type { Host } from '../client/host.ts'
import type { InquiryListener } from './inquiries.ts'

type Session = Pick<Host, 'isOpen'>

/** A client that waits for an answer. */
interface Asking<Answer> {
  readonly session: Session
  done(answer: Answer): void
}

/** Connects the question, which is asked once, with all clients that wait for it. */
interface Question<Answer> extends Pick<InquiryListener, 'isWanted' | 'onUnwanted'> {
  tell(answer: Answer): void
}

interface Asked<Answer> {
  readonly waiting: Map<Session, Asking<Answer>['done']>
  giveUp(): boolean
}

export class AskedOnce<Answer> {
  readonly #asked = new Map<string, Asked<Answer>>()
  /** What each client waits for. */
  readonly #keys = new Map<Session, string>()

  /**
   * A client asks one question at a time.
   *
   * @param begin asks the question; called only if no other client waits for the answer to `key`. Returns what `Inquiries.ask` returns
   */
  ask(key: string, { session, done }: Asking<Answer>, begin: (question: Question<Answer>) => () => boolean): void {
    this.#keys.set(session, key)
    const known = this.#asked.get(key)
    if (known) {
      known.waiting.set(session, done)
      return
    }
    const waiting = new Map([[session, done]])
    const asked = { waiting, giveUp: () => false }
    this.#asked.set(key, asked)
    const over = () => {
      this.#asked.delete(key)
      for (const each of waiting.keys()) this.#keys.delete(each)
    }
    asked.giveUp = begin({
      isWanted: () => [...waiting.keys()].some(({ isOpen }) => isOpen),
      onUnwanted: over,
      tell(answer) {
        over()
        for (const tell of waiting.values()) tell(answer)
      },
    })
  }

  /** The client has left. Strangers may come and leave without end: a question that nobody asks any more must not wait for its turn. */
  left(session: Session): void {
    const key = this.#keys.get(session)
    if (key === undefined) return
    this.#keys.delete(session)
    const asked = this.#asked.get(key)
    asked?.waiting.delete(session)
    if (asked?.waiting.size === 0 && asked.giveUp()) this.#asked.delete(key)
  }
}
