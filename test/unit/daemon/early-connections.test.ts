import { expect, test } from 'vitest'
import { EarlyConnections } from '../../../src/daemon/early-connections.ts'

function play() {
  const early = new EarlyConnections()
  const told: string[] = []
  let isServing = false
  return {
    ...{ early, told },
    serve(serves = true) {
      isServing = serves
      early.goOn()
    },
    come(name: string) {
      const give = () => {
        if (isServing) told.push(`${name} is given`)
        return isServing
      }
      early.give({ destroy: () => void told.push(`${name} is closed`) } as never, give)
    },
  }
}

test('connections that come before a worker serves are each given to a worker once, as soon as one serves', () => {
  const { told, come, serve } = play()
  come('one')
  come('two')
  expect(told).toEqual([])
  serve()
  come('three')
  serve()
  expect(told).toEqual(['one is given', 'two is given', 'three is given'])
})

test('if no worker will serve any more, waiting connections are closed', () => {
  const { early, told, come, serve } = play()
  come('one')
  early.close()
  serve()
  expect(told).toEqual(['one is closed'])
})

test('at most as many connections wait as the system’s backlog would hold', () => {
  const { told, come } = play()
  for (let n = 0; n < 130; n++) come(`${n}`)
  expect(told).toEqual(['128 is closed', '129 is closed'])
})
