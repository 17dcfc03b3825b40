// What keeps a page from people who cannot see it or have no mouse.
import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'

/** Serious findings of the page as it is. */
export async function findings(page: Page, colours: 'light' | 'dark'): Promise<string[]> {
  const axe = new AxeBuilder({ page })
  // Only the colours differ in the dark.
  const { violations } = await (colours === 'dark' ? axe.withRules(['color-contrast']) : axe).analyze()
  const serious = violations.filter((it) => it.impact === 'serious' || it.impact === 'critical')
  return serious.map((it) => `${it.id}: ${it.nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`)
}

/** How wide the page wants to be, pixels. */
export function width(page: Page): Promise<number> {
  return page.evaluate(() =>
    Math.max(...[...document.querySelectorAll('body, main, main > *')].map((it) => it.scrollWidth))
  )
}
