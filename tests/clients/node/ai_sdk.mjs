// Vercel's AI SDK with its provider for OpenAI-compatible APIs.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { aiSdkScenarios } from './ai_sdk_scenarios.mjs'
import { BROKE_KEY, KEY, MODEL, URL, USER, report } from './scenarios.mjs'

const model = (apiKey) =>
  createOpenAICompatible({ name: 'tollgate', baseURL: `${URL}/v1`, apiKey, includeUsage: true })(MODEL)

const named = { providerOptions: { tollgate: { user: USER } } }
await report(aiSdkScenarios(model(KEY), model(BROKE_KEY), named))
