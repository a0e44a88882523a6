import { describe, expect, test } from 'vitest'
import { check } from '../../../src/cli/commands/check.ts'
import { changesBetween, describeChanges } from '../../../src/settings/changes.ts'
import { GOOD_INI, loadText, virtualFiles } from './virtual-files.ts'

function read(...lines: string[]) {
  const { settings, told } = loadText(`${GOOD_INI}peer_id = 1\n[peers]\n${lines.join('\n')}\n`)
  return { settings, told, peers: [...settings.peers.values()] }
}

test('a peer has a number, a host, a port and a pool_size', () => {
  const { peers, told } = read(
    '2 = host=10.0.0.2',
    "16383 = host='::1' port=7000 pool_size=3",
    '3 = host=c pool_size=-1',
  )
  expect(told).toEqual([])
  expect(peers).toEqual([
    { id: 2, host: '10.0.0.2', port: 6432, pool_size: null },
    { id: 16_383, host: '::1', port: 7000, pool_size: 3 },
    { id: 3, host: 'c', port: 6432, pool_size: null },
  ])
})

test('a peer’s host may be a directory of unix sockets', () => {
  expect(read('2 = host=/tmp/pooler2').peers).toMatchObject([{ host: '/tmp/pooler2' }])
})

test('[peers] may also list the pgweir that reads it, so that one file serves all', () => {
  expect(read('1 = host=a', '2 = host=b').told).toEqual([])
})

describe('peer_id', () => {
  test('is a number up to 16383, and may come from the environment', () => {
    expect(loadText(GOOD_INI).settings.general.peer_id).toBe(0)
    expect(loadText(GOOD_INI, { env: { PGWEIR_PEER_ID: '16383' } }).settings.general.peer_id).toBe(16_383)
    expect(loadText(`${GOOD_INI}peer_id = 16384\n`).told).toEqual([
      'pgweir.ini:5: error: peer_id cannot be "16384": it must be a whole number from 0 to 16383',
    ])
  })

  test('must be set if there are peers', () => {
    expect(loadText(`${GOOD_INI}[peers]\n2 = host=b\n3 = host=c\n`).told).toEqual([
      'pgweir.ini:6: warning: [peers] is not used, because peer_id is not set',
    ])
    expect(loadText(`${GOOD_INI}[peers]\n`).told).toEqual([])
  })
})

describe('a peer line that cannot be used is an error:', () => {
  for (const [line, sentence] of [
    ['0 = host=a', 'a peer cannot be named "0": it must be a whole number from 1 to 16383'],
    ['16384 = host=a', 'a peer cannot be named "16384": it must be a whole number from 1 to 16383'],
    ['02 = host=a', 'a peer cannot be named "02": it must be a whole number from 1 to 16383'],
    ['two = host=a', 'a peer cannot be named "two": it must be a whole number from 1 to 16383'],
    ['2 = port=6432', 'peer "2": host is required'],
    ["2 = host=''", 'peer "2": host cannot be "": it must be one host'],
    ['2 = host=a,b', 'peer "2": host cannot be "a,b": it must be one host'],
    ['2 = host=a port=0', 'peer "2": port cannot be "0": it must be a whole number from 1 to 65535'],
    ['2 = host=a dbname=b', 'peer "2": there is no key "dbname"'],
    ['2 = host', 'peer "2": expected key=value at character 1; a value with spaces needs single quotes'],
  ] as const)
    test(line, () => expect(read(line).told).toEqual([`pgweir.ini:7: error: ${sentence}`]))
})

test('a peer that is given twice is reported', () => {
  const { peers, told } = read('2 = host=a', '2 = host=b')
  expect(told).toEqual(['pgweir.ini:8: warning: peer "2" is already set on line 7; this line overrides it'])
  expect(peers).toMatchObject([{ host: 'b' }])
})

test('pgweir check counts the peers', () => {
  const files = virtualFiles({ 'pgweir.ini': `${GOOD_INI}peer_id = 1\n[peers]\n2 = host=b\n` })
  let written = ''
  check({ iniFile: 'pgweir.ini', files }, (text) => {
    written += text
  })
  expect(written).toBe('pgweir.ini: 2 settings, 1 database, 0 users and 1 peer are fine\n')
})

test('a reload reports what changed about peers', () => {
  const changes = changesBetween(
    read('2 = host=a', '3 = host=c').settings,
    read('2 = host=b pool_size=1', '4 = host=d').settings,
  )
  expect(describeChanges(changes).map(({ sentence }) => sentence)).toEqual([
    'peer "2": host: a → b',
    'peer "2": pool_size: not set → 1',
    'peer "3" is removed',
    'peer "4" is added',
  ])
})
