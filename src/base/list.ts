/** A doubly linked list whose links live in its items: joining and leaving cost O(1), and `length` cannot drift. */

import { invariant } from './invariant.ts'

/** What an item of a `List` carries. An item is in one list of its kind at a time. */
export interface Linked<T> {
  readonly link: Link<T>
}

export class Link<T> {
  list: object | null = null
  before: T | null = null
  after: T | null = null
}

export class List<T extends Linked<T>> {
  readonly name: string
  first: T | null = null
  last: T | null = null
  length = 0

  constructor(name: string) {
    this.name = name
  }

  pushFirst(item: T): void {
    this.#own(item)
    item.link.after = this.first
    if (this.first) this.first.link.before = item
    else this.last = item
    this.first = item
  }

  pushLast(item: T): void {
    this.#own(item)
    item.link.before = this.last
    if (this.last) this.last.link.after = item
    else this.first = item
    this.last = item
  }

  remove(item: T): void {
    const { link } = item
    if (link.list !== this) invariant(false, `an item leaves the list ${this.name} without being in it`)
    if (link.before) link.before.link.after = link.after
    else this.first = link.after
    if (link.after) link.after.link.before = link.before
    else this.last = link.before
    link.list = null
    link.before = null
    link.after = null
    this.length--
  }

  has(item: T): boolean {
    return item.link.list === this
  }

  /** Iterates from first to last. The current item may be removed meanwhile; others must not. */
  *[Symbol.iterator](): Generator<T> {
    let item = this.first
    while (item) {
      const next: T | null = item.link.after
      yield item
      item = next
    }
  }

  #own(item: T): void {
    if (item.link.list !== null) invariant(false, `an item joins the list ${this.name} while in another`)
    item.link.list = this
    this.length++
  }
}
