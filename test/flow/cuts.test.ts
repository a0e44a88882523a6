/** Rule 1: a chunk is not a message. However a conversation is cut into chunks, both sides receive the same. */

import { describe, expect, test } from 'vitest'
import { CONVERSATIONS, transcript } from '../support/flow/conversations.ts'

/** Longer than most of the writes in these conversations, so that each byte is the last one of a chunk once. */
const LONGEST_CUT = 100

/** Longer writes have only rows and settings towards their end, so a few greater lengths are enough. */
const CUTS = [...Array(LONGEST_CUT).keys()].map((index) => index + 1).concat([127, 171, 230, 311])

describe.each(CONVERSATIONS.map((conversation) => [conversation.name, conversation] as const))(
  '%s',
  (_, conversation) => {
    test('is the same in chunks of 1 byte, 2 bytes, 3 bytes …', async () => {
      const uncut = await transcript(conversation)
      expect(uncut.length).toBeGreaterThan(1)
      for (const cut of CUTS)
        expect(await transcript(conversation, { cut }).catch((error) => [`cut at ${cut}: ${error.message}`])).toEqual(
          uncut,
        )
    })

    test('is the same in random chunks', async () => {
      const uncut = await transcript(conversation)
      for (let seed = 1; seed <= 30; seed++)
        expect(
          await transcript(conversation, { cut: { seed, most: 40 } }).catch((error) => [
            `seed ${seed}: ${error.message}`,
          ]),
        ).toEqual(uncut)
    })

    test('is the same when each side takes only a few bytes at a time', async () => {
      const uncut = await transcript(conversation)
      for (const windowBytes of [1, 7, 50, 300])
        expect(
          await transcript(conversation, { windowBytes }).catch((error) => [`window ${windowBytes}: ${error.message}`]),
        ).toEqual(uncut)
    })
  },
)
