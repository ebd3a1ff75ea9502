"""Every score on pools of which people or golds say what is right: does any of them see it?"""
