"""The fixed words of a mail, Swedish and English. Only what no case, model or recipient can change."""

from typing import Final

from services.rendering.dates import Lang

WORDS: Final[dict[Lang, dict[str, str]]] = {
    "sv": {
        "asks": "{municipality} frågar {recipient}",
        "invites": "{municipality} bjuder in {recipient}",
        "informs": "{municipality} informerar {recipient}",
        "affected": "Påverkas ni? {title}",
        "come": "Kommer ni? {title}",
        "answer_by": "Svara senast {day}",
        "just_information": "Det här är information. Ni behöver inte svara.",
        "answer_here": "Svara här:",
        "answer_takes": "Svara här (tar ungefär {minutes} min):",
        "read_here": "Läs mer:",
        "answer_button": "Svara på frågan",
        "read_button": "Läs mer om ärendet",
        "why": "Varför får ni detta?",
        "you": "er",
        "about": "Det här gäller",
        "to_do": "Behöver ni göra något?",
        "open": "Kan påverkas: {text}",
        "decided": "Redan bestämt: {text}",
        "more": "… och {left} till på sidan.",
        "urgent": "Brådskar: {text}",
        "when": "När",
        "meeting": "Möte {day} kl. {clock}, {place}.",
        "stage": "Skede: {stage}.",
        "event": "Händer {day}.",
        "decision": "Beslut tidigast {day}.",
        "decision_body": "Beslut tidigast {day} av {body}.",
        "who": "Vem",
        "diary_number": "Dnr {number}.",
        "doubt": "Osäker på mejlet? Gå till kommunens webbplats och sök på ärendets dnr, eller ring kommunens växel.",
        "statutory": "Ett svar med ett klick är inte ett formellt yttrande. Den som vill yttra sig i ärendet skriver "
        "till kommunen{reference} inom tiden.",
        "reference": " och anger dnr {number}",
        "privacy": "Personuppgifter",
        "controller": "{municipality} är personuppgiftsansvarig. Uppgifterna om företaget kommer från {source} och "
        "används för att bjuda in till dialog (uppgift av allmänt intresse). Ni har rätt att få veta vad vi har, "
        "rätta, invända, radera och klaga hos Integritetsskyddsmyndigheten (imy.se).{contact}",
        "controller_own": "{municipality} är personuppgiftsansvarig. Ni har själva lämnat er adress. Den används "
        "för att berätta om det ni bevakar, tills ni slutar. Ni har rätt att få veta vad vi har, rätta, invända, "
        "radera och klaga hos Integritetsskyddsmyndigheten (imy.se).{contact}",
        "contact": " Frågor: {contact}.",
        "register": "Bolagsverket/SCB",
        "made_up": "en påhittad demonstration",
        "stop": "Sluta få inbjudningar:",
        "manage": "Ändra vad ni får:",
        "other_language": "In English below",
    },
    "en": {
        "asks": "{municipality} asks {recipient}",
        "invites": "{municipality} invites {recipient}",
        "informs": "{municipality} informs {recipient}",
        "affected": "Are you affected? {title}",
        "come": "Will you come? {title}",
        "answer_by": "Reply by {day}",
        "just_information": "This is information. You need not reply.",
        "answer_here": "Reply here:",
        "answer_takes": "Reply here (takes about {minutes} min):",
        "read_here": "Read more:",
        "answer_button": "Answer the question",
        "read_button": "Read more about the matter",
        "why": "Why are you receiving this?",
        "you": "you",
        "about": "What it is about",
        "to_do": "Do you need to do anything?",
        "open": "Can be influenced: {text}",
        "decided": "Already decided: {text}",
        "more": "… and {left} more on the page.",
        "urgent": "Urgent: {text}",
        "when": "When",
        "meeting": "Meeting {day} at {clock}, {place}.",
        "stage": "Stage: {stage}.",
        "event": "Happens {day}.",
        "decision": "Decision {day} at the earliest.",
        "decision_body": "Decision {day} at the earliest, by {body}.",
        "who": "Who",
        "diary_number": "Ref. (dnr) {number}.",
        "doubt": "Unsure about this mail? Go to the municipality's website and search for the reference, or call the "
        "municipality.",
        "statutory": "A one-click answer is not a formal comment. To comment formally, write to the "
        "municipality{reference} in time.",
        "reference": " and state ref. {number}",
        "privacy": "Personal data",
        "controller": "{municipality} is the data controller. The facts about the business come from {source} and are "
        "used to invite to dialogue (a task in the public interest). You have the right to see what we hold, to have "
        "it corrected or erased, to object, and to complain to the Swedish Authority for Privacy Protection (imy.se)."
        "{contact}",
        "controller_own": "{municipality} is the data controller. You gave your address yourselves. It is used to "
        "tell you of what you follow, until you stop. You have the right to see what we hold, to have it corrected "
        "or erased, to object, and to complain to the Swedish Authority for Privacy Protection (imy.se).{contact}",
        "contact": " Questions: {contact}.",
        "register": "Bolagsverket/SCB",
        "made_up": "a made-up demonstration",
        "stop": "Stop invitations:",
        "manage": "Change what you get:",
        "other_language": "",
    },
}

ANSWERS: Final[dict[Lang, tuple[tuple[str, str], ...]]] = {
    "sv": (("ja", "Ja, vi påverkas"), ("nej", "Nej"), ("vet-inte", "Vet inte")),
    "en": (("ja", "Yes, we are affected"), ("nej", "No"), ("vet-inte", "Do not know")),
}
COMING: Final[dict[Lang, tuple[tuple[str, str], ...]]] = {
    "sv": (("ja", "Ja, vi kommer"), ("nej", "Nej"), ("kanske", "Kanske")),
    "en": (("ja", "Yes, we will come"), ("nej", "No"), ("kanske", "Maybe")),
}
"""What stands after `?svar=` and on the button. A link only preselects; the page's own button answers."""
