/** The live page in a real browser. */

import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HttpServer, openHttpServer } from '../../src/metrics/http-server.ts'
import type { LiveFleet } from '../../src/metrics/live-feed.ts'
import { livePages } from '../../src/metrics/live-pages.ts'
import { TallyNames } from '../../src/pool/tallies.ts'
import { until } from '../support/e2e/until.ts'
import { freePort } from '../support/free-port.ts'
import { MadeUpPool, madeUpFleet } from '../support/live/made-up-fleet.ts'

/** Without these flags the browser contacts hosts of its vendor. */
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

let browser: Browser

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: QUIET })
})

afterAll(() => browser.close())

async function serve(
  pools: readonly MadeUpPool[],
  { token = '', port = 0, change = (fleet: LiveFleet) => fleet } = {},
): Promise<HttpServer & { url: string }> {
  const problems: unknown[] = []
  const options = {
    fleet: change(madeUpFleet(pools)),
    names: new TallyNames(1_000),
    onTrouble: (problem: unknown) => problems.push(problem),
  }
  const pages = livePages(options, () => token)
  const server = await openHttpServer({
    setting: 'http_listen',
    listen: [{ host: '127.0.0.1', port }],
    pages,
    onTrouble: options.onTrouble,
  })
  return { ...server, url: `http://127.0.0.1:${server.addresses[0]?.port}/` }
}

async function open(url: string): Promise<Page & { readonly problems: string[] }> {
  const page = await browser.newPage()
  const problems: string[] = []
  page.on('pageerror', ({ message }) => problems.push(message))
  await page.goto(url)
  return Object.assign(page, { problems })
}

const rows = (page: Page) => page.locator('#pools tbody tr')

async function untilShown(page: Page, selector: string, text: string | RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).first().waitFor()
}

describe('the live page', () => {
  test('says that there are no pools', async () => {
    const server = await serve([])
    const page = await open(server.url)
    await untilShown(page, '#health', 'ready')
    await untilShown(page, '#none', 'No clients have connected yet.')
    expect(await rows(page).count()).toBe(0)
    expect(page.problems).toEqual([])
    await page.close()
    server.close()
  })

  test('shows three pools, those with waiting clients first, and the details of one', async () => {
    const pools = ['one', 'two', 'three'].map((name) => new MadeUpPool(name))
    const [one, , three] = pools as [MadeUpPool, MadeUpPool, MadeUpPool]
    three.waiting = 4
    const server = await serve(pools)
    const page = await open(server.url)
    await untilShown(page, '#pools tbody tr:first-child', 'three / ada')
    expect(await rows(page).allInnerTexts()).toEqual([
      expect.stringMatching(/^three \/ ada\s+transaction\s+4 · 4.0 ms\s+2 \/ 9\s+2 \/ 3 of 5/),
      expect.stringMatching(/^one \/ ada/),
      expect.stringMatching(/^two \/ ada/),
    ])
    const rate = page.locator('#pools tbody tr:nth-child(2) td:nth-child(6)')
    // If the data of several seconds arrives at once, the page shows the last one only.
    await until('its transactions are shown', async () => {
      one.run(1, 3)
      return /^[1-9]/.test((await rate.textContent()) ?? '')
    })

    await page.getByRole('button', { name: 'one / ada' }).press('Enter')
    await untilShown(page, '#servers tbody', '4711')
    // Names that clients choose are shown as plain text.
    await untilShown(page, '#clients tbody', '<b>app</b>')
    await page.keyboard.press('Escape')
    await page.locator('#detail').waitFor({ state: 'hidden' })

    await page.keyboard.press('/')
    await page.keyboard.type('TWO')
    await until('one row is left', async () => (await rows(page).count()) === 1)
    expect(await rows(page).allInnerTexts()).toEqual([expect.stringContaining('two / ada')])
    expect(page.problems).toEqual([])
    await page.close()
    server.close()
  })

  test('lists the longest transactions, keeps the focus in the list, and links to their pools', async () => {
    const pool = new MadeUpPool('app')
    const server = await serve([pool])
    const page = await open(server.url)
    await untilShown(page, '#no-transaction', 'No transactions are running.')
    const table = page.getByRole('table', { name: 'Longest transactions now' })
    expect(await table.isVisible()).toBe(false)

    pool.running = [2_000, 125_000]
    await untilShown(page, '#transactions tbody tr:first-child', 'idle in transaction')
    expect(await table.locator('tbody tr').allInnerTexts()).toEqual([
      expect.stringMatching(/^2.1 min\s+idle in transaction\s+app \/ ada\s+#8\s+ada\s+<b>app<\/b>\s+127.0.0.1:6432$/),
      expect.stringMatching(/^2.0 s\s+running a query\s+app \/ ada\s+#7/),
    ])
    expect(await table.locator('tbody .warn').allInnerTexts()).toEqual(['2.1 min'])

    const last = table.getByRole('button', { name: 'app / ada' }).last()
    await last.focus()
    pool.running = [3_000]
    await until('one is left', async () => (await table.locator('tbody tr').count()) === 1)
    await page.keyboard.press('Enter')
    await untilShown(page, '#detail-title', 'app / ada')
    expect(page.problems).toEqual([])
    await page.close()
    server.close()
  })

  test('shows the first hundred of 500 pools, all of them on request, and sorts them', async () => {
    const pools = Array.from({ length: 500 }, (_, index) => new MadeUpPool(`db${String(index).padStart(3, '0')}`))
    const server = await serve(pools)
    const page = await open(server.url)
    await untilShown(page, '#shown', '100 of 500')
    expect(await rows(page).count()).toBe(100)
    await page.getByRole('button', { name: 'Show all' }).click()
    expect(await rows(page).count()).toBe(500)
    ;(pools[321] as MadeUpPool).run(1_000, 1)
    await page.getByRole('button', { name: 'trans/s' }).click()
    expect(await page.locator('th[aria-sort=descending]').textContent()).toContain('trans/s')
    expect(page.problems).toEqual([])
    await page.close()
    server.close()
  })

  test('shows that the connection is lost, and reconnects by itself', async () => {
    const port = await freePort()
    const server = await serve([new MadeUpPool('app')], { port })
    const page = await open(server.url)
    await untilShown(page, '#health', 'ready')
    server.close()
    await untilShown(page, '#health', 'connection lost')
    expect(await page.locator('body').getAttribute('class')).toContain('stale')
    // The last data stays.
    expect(await rows(page).count()).toBe(1)
    const again = await serve([new MadeUpPool('app')], { port })
    await untilShown(page, '#health', 'ready')
    expect(page.problems).toEqual([])
    await page.close()
    again.close()
  })

  test('distinguishes pools whose names look alike', async () => {
    const server = await serve([new MadeUpPool('a / b', 'c'), new MadeUpPool('a', 'b / c')])
    const page = await open(server.url)
    await untilShown(page, '#shown', '2')
    expect(await rows(page).count()).toBe(2)
    await page.getByRole('button', { name: 'a / b / c' }).last().click()
    await untilShown(page, '#servers tbody', '4711')
    expect(page.problems).toEqual([])
    await page.close()
    server.close()
  })

  test('shows that the connection is lost if no data arrives, even if it is still open', async () => {
    let isSilent = false
    const silence = new Promise<never>(() => {})
    const change = (fleet: LiveFleet) => ({ ...fleet, pools: () => (isSilent ? silence : fleet.pools()) })
    const server = await serve([new MadeUpPool('app')], { change })
    const page = await browser.newPage()
    await page.clock.install()
    await page.goto(server.url)
    await untilShown(page, '#health', 'ready')
    isSilent = true
    await until('the page shows it', async () => {
      await page.clock.fastForward(10_000)
      return (await page.locator('#health').textContent()) === 'connection lost'
    })
    await page.close()
    server.close()
  })

  test('asks for the token if one is needed', async () => {
    const server = await serve([new MadeUpPool('app')], { token: 'öpen sesame ☃' })
    const page = await open(server.url)
    await untilShown(page, '#health', 'token required')
    await page.getByLabel('token from http_token').fill('wrong')
    await page.keyboard.press('Enter')
    await untilShown(page, '#refused', 'The token is wrong.')
    await page.getByLabel('token from http_token').fill('öpen sesame ☃')
    await page.getByRole('button', { name: 'Show', exact: true }).click()
    await untilShown(page, '#health', 'ready')
    expect(await page.locator('#login').isVisible()).toBe(false)
    await page.close()
    server.close()
  })
})
