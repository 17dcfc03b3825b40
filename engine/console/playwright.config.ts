// Browser stories: the real binary, a real browser, nothing between them. `make browser` names both.
import { defineConfig } from '@playwright/test'

export default defineConfig({
  testDir: 'stories',
  testMatch: '*.story.ts',
  workers: 2,
  fullyParallel: true,
  timeout: 90_000,
  expect: { timeout: 10_000 },
  forbidOnly: !!process.env.CI,
  reporter: 'list',
  use: {
    viewport: { width: 1440, height: 900 },
    locale: 'en-GB',
    timezoneId: 'Europe/Madrid',
    // Colours that are still fading are nobody's contrast, and nothing waits for an animation.
    contextOptions: { reducedMotion: 'reduce' },
    launchOptions: { executablePath: process.env.POINTSMAN_CHROMIUM, args: ['--no-sandbox'] }
  }
})
