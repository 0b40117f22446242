// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// Run: UnrealEditor-Cmd PROJECT.uproject -ExecCmds="Automation RunTests Renderlift; Quit" -unattended -nullrhi

#include "RenderliftAxes.h"

#include "Misc/AutomationTest.h"
#include "RenderliftEngineVersion.h"
#include "RenderliftNames.h"
#include "RenderliftStencils.h"

#if WITH_DEV_AUTOMATION_TESTS

BEGIN_DEFINE_SPEC(FRenderliftAxesSpec, "Renderlift.Axes",
	EAutomationTestFlags::ProductFilter | RENDERLIFT_TEST_CONTEXT)
END_DEFINE_SPEC(FRenderliftAxesSpec)

void FRenderliftAxesSpec::Define()
{
	It("puts a camera that looks along Unreal's X where ours looks along the world's X",
		[this]
		{
			RenderliftAxes::FUnrealView View;
			View.LocationCm = {100.0, 200.0, 300.0};
			const RenderliftAxes::FMatrix4 World = RenderliftAxes::WorldFromCamera(View);
			TestEqual(TEXT("z axis of the camera, x of the world"), World[2], 1.0);
			TestEqual(TEXT("x axis of the camera, y of the world"), World[4], -1.0);
			TestEqual(TEXT("y axis of the camera, z of the world"), World[9], -1.0);
			TestEqual(TEXT("x, metres"), World[3], 1.0);
			TestEqual(TEXT("y, metres, mirrored"), World[7], -2.0);
			TestEqual(TEXT("z, metres"), World[11], 3.0);
		});

	It("gives every instance a stencil value and keeps it",
		[this]
		{
			FRenderliftStencils Stencils;
			Stencils.Deal({{1, 10}, {2, 20}});
			const uint8 Before = Stencils.ValueOf(20);
			Stencils.Deal({{2, 20}, {1, 30}});
			TestEqual(TEXT("value of an instance that stays"), Stencils.ValueOf(20), Before);
			TestEqual(TEXT("class behind it"), Stencils.Table()[Before].Class, 2u);
			TestEqual(TEXT("value of an instance that left"), Stencils.ValueOf(10), uint8(0));
		});

	It("calls things by what they are",
		[this]
		{
			TestTrue(TEXT("a mesh"), RenderliftNames::ClassOfName("SM_Chair_03") == "Chair");
			TestTrue(TEXT("a blueprint"), RenderliftNames::ClassOfName("BP_Door_C") == "Door");
		});
}

#endif
