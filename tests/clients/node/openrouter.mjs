// OpenRouter's provider for the AI SDK.

import { createOpenRouter } from '@openrouter/ai-sdk-provider'
import { aiSdkScenarios } from './ai_sdk_scenarios.mjs'
import { BROKE_KEY, KEY, MODEL, URL, USER, report } from './scenarios.mjs'

const model = (apiKey) => createOpenRouter({ baseURL: `${URL}/v1`, apiKey })(MODEL, { user: USER })

await report(aiSdkScenarios(model(KEY), model(BROKE_KEY)))
